"""Backfills: a range of a source's history, planned in chunks and brought in beside whatever else goes on."""
