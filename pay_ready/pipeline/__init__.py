"""The way of the data, one module a step: land, stage, resolve, publish; each callable alone, idempotent, resumable, per tenant.

`etl` is their order. `contracts` applies the mappings of `mapping` to one landed record; that part is pure.
"""
