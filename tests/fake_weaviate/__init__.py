"""A Weaviate of ours for tests: REST and gRPC on real sockets, exact search by numpy, faults on demand; no index, no disk, no cluster.

It mirrors server 1.39.0 in what pay_ready uses, and refuses what it does not know. Each rule has a test in
tests/contract/test_fake_weaviate.py, which also runs against a live server (marker weaviate_live):

 R1  A collection's configuration comes back with the server's defaults filled in; one that is there already answers 422.
 R2  An unknown collection is 404 when its schema is read, "could not find class X in schema" when it is searched, "class not found"
     when its tenants are asked for, and no error when it is deleted.
 R3  A call without a tenant fails: "has multi-tenancy enabled, but request was without tenant".
 R4  An unknown tenant fails: 'tenant not found: "X"'. Names are case-sensitive. To create one twice, or to remove an absent one, is fine.
 R5  An inactive tenant fails: "tenant not active: 'X'", for each object of a batch, too.
 R6  A batch answers object by object, by index; objects that are fine are written beside others that are not.
 R7  The same id overwrites the whole object; of an id twice in one batch the last counts.
 R8  Dimensions are checked against the first vector of the tenant's shard alone: another tenant may have others.
 R9  Zero vectors, NaN and objects without a vector are taken without a word.
 R10 Results have their id as bytes; without a limit there are 10; more than 10,000 are refused ("query maximum results exceeded").
 R11 Without a vector, results are ordered by id, and `after` continues behind an id; together with a filter it is refused.
 R12 near_vector orders by cosine distance, keeps what is within `distance`, and refuses a vector of other dimensions.
 R13 A filter on a property without an inverted index, or on an unknown one, is refused; text is compared as a whole, ids by value, times
     as instants to the microsecond; "contains any" of an array is an overlap.
 R14 A delete takes at most 10,000 objects and says how many matched.
 R15 Properties that were not written come back as null; ids, times and arrays come back typed.
 R16 An alias stands for its collection, must name one that is there, is no collection's name, and outlives it.
 R17 Changing `ef` is allowed.

What it does not prove: Weaviate's recall, speed, memory, durability, clustering, and what other versions answer.
"""

from tests.fake_weaviate.server import FakeWeaviate, Fault, Seen

__all__ = ["FakeWeaviate", "Fault", "Seen"]
