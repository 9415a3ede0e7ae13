"""Record linkage over Arrow columns: features, candidate pairs, evidence, a learnt model, clusters. Pure, and the same for every order."""
