# exercise: kinks:of=clamp
dy = c
dr = dy * (r >= 0)
dx = dr
