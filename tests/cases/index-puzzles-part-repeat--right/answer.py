# exercise: index-puzzles:part=repeat
dx = dy.reshape(K, N).sum(0)
