# exercise: kinks:of=max-over
best = x.max(1)
dx = c[:, None] * F.one_hot(best.indices, K)
dc = best[0]
dy = best + 1
