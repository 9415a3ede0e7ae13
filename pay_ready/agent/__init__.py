"""The query agent: questions about people and companies, answered from what was said, with evidence. Offline first."""
