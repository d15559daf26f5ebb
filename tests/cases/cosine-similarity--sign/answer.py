# exercise: cosine-similarity
dc = 2 * (c - t) / N
da = dc[:, None] * (b / nb[:, None] + c[:, None] * a / na[:, None]) / na[:, None]
db = dc[:, None] * (a / na[:, None] - c[:, None] * b / nb[:, None]) / nb[:, None]
