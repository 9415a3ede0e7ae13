"""Erasure of one person: what is theirs, the rows it is in, the versions it was in, and the run without them."""
