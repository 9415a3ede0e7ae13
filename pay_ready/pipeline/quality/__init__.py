"""Data quality on every run: rules of config/quality, what is measured for them, and what that says."""
