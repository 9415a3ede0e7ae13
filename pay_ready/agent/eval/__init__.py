"""Figures of the agent's parts on fixed sets, as `make eval` prints them."""
