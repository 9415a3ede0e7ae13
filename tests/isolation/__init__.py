"""Tenants never mix: attacks generated from the catalogue of a migrated database."""
