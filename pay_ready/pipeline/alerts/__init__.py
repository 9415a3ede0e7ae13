"""Alerts: rules read figures, the table keeps what fires, and a webhook is told."""
