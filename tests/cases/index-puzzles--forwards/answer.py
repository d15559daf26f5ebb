# exercise: index-puzzles
dx = dy.cumsum(0)
