"""The command line: parse, call, print. Imports stay inside commands, so that --help is quick."""
