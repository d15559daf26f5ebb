# exercise: kinks:of=maximum
dy = c
dr = dy * (r > 0)
dx = dr
