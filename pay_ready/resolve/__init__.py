"""Who is who: normalise, block, compare, weigh, decide, cluster, give ids, survive. Pure: no database, file, clock or chance.

The unit of work is one tenant's records of one entity type: an Arrow table in, edges and clusters out (`engine`).
"""
