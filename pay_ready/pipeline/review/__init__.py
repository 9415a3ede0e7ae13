"""Review: pairs that are worth asking about, what reviewers say of them, and how far they agree."""
