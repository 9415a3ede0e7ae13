"""Landing: what a source gives becomes landed rows, with its state, in one transaction. `sync` is one run from lease to report."""
