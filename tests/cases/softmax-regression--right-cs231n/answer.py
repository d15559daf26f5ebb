# exercise: softmax-regression
num_train = x.shape[0]
scores = x.dot(W) + b
scores -= np.max(scores, axis=1, keepdims=True)
probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
dscores = probs - y
dscores /= num_train
dW = x.T.dot(dscores)
db = np.sum(dscores, axis=0)
