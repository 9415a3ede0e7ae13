"""The way of the data, one module a step: land, stage, resolve, publish; each callable alone, idempotent, resumable, per tenant.

Staging stands on the mapping language: `mapping` loads `config/sources/*.toml` into the rules of `rules`, and `contracts` applies them to
one landed record. That part is pure; the steps that read and write are beside it.
"""
