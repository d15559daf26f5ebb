# exercise: cosine-similarity
dL/dc = 2*(c - t)/N
dL/ds = dL/dc/(na*nb)
dL/dna = -dL/dc*c/na
dL/dnb = -dL/dc*c/nb
dL/da = dL/ds[:, None]*b + (dL/dna/na)[:, None]*a
dL/db = dL/ds[:, None]*a + (dL/dnb/nb)[:, None]*b
