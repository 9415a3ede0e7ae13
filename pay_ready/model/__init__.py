"""Frozen values that every room speaks of. The glossary:

tenant: owner of rows. landing, staging, resolved, published: raw as the source wrote it; typed and valid; clustered;
golden records. stream: one table-like feed of a data source. record: one source row about one thing. entity: the thing
itself, known only through its records. mention: a record that nothing lists, known from taking part in interactions.
quarantine: rows that broke a contract, kept with the reason. run_no: the number of a resolution run of one tenant.
"""
