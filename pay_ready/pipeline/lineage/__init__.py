"""Lineage: what each step read and wrote, column by column, as OpenLineage events for whoever collects them."""
