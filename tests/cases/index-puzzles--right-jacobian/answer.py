# exercise: index-puzzles
dy_dx[o,i] = where(o >= i, 1, 0)
dx[i] = Sum(dy[o]*dy_dx[o,i], o)
