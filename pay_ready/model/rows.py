"""What became of the records of a stream, by the names of the figures, and how they add up."""

ROW_FIGURES = (
    "emitted", "landed", "unchanged", "superseded", "deleted", "quarantined", "suppressed", "staged", "unmapped", "stage_quarantined",
)  # fmt: skip
ROW_HEADINGS = (*ROW_FIGURES[:-1], "refused")  # as people read them
ROW_EQUATIONS = "emitted = landed + unchanged + superseded + deleted + quarantined + suppressed; landed = staged + unmapped + refused"
