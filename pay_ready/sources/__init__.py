"""Where records come from: any Airbyte connector as a subprocess, or export files by the replay source.

`protocol` reads the Airbyte messages, `lines` cuts them out of a byte stream, `tolerant` rescues odd JSON, `catalog` says
what to read. `process` keeps a connector in a group of its own, `connector` asks and reads it, `outcome` judges how a
read went, `masking` keeps its secrets out of texts. `replay*` is a source of our own, `installs` keeps the connectors.
"""
