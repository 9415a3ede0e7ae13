"""Retention: rows that are older than a tenant keeps them go to archives, whole and checked before the first of them is deleted.

`plan` says which rows are due, `apply` archives and deletes them, `restore` puts them back. An archive is a folder of Parquet files with a
manifest; the ledger in the database says which files are one. Archives hold people's data: an erasure goes through them, too (`clean`).
"""
