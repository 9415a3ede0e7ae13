"""Texts that the agent is tried with."""
