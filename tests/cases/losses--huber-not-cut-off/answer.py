# exercise: losses:of=huber
df = r / N
