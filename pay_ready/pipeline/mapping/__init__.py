"""The mapping language: what each stream of a source says, declared in `config/sources/*.toml` and checked at load.

`language` reads a file, `rules` are the frozen result, `kinds` and `times` read values, `scope` walks one record, `people`
says who somebody is. `pipeline.contracts` applies a mapping to records.
"""
