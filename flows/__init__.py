"""Prefect flows: they schedule the steps of `pay_ready.pipeline`, show them, and decide nothing."""
