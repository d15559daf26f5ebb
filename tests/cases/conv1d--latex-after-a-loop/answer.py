% exercise: conv1d

```python
for o in range(O):
    for k in range(K):
        dw[k] += dy[o] * x[o + k]
```

\[ \frac{\partial L}{\partial w_k} = \sum_o \frac{\partial L}{\partial y_o} x_{o+k} \]
\[ \frac{\partial L}{\partial w_k} = \sum_o \frac{\partial L}{\partial y_o} x_{o-k} \]
