"""The coaching report: how a rep talks with customers, measured by printed formulas, each finding with the quotes it rests on. Pure."""
