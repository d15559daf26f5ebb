# exercise: makemore-mlp
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0/n
dprobs = (1.0/probs)*dlogprobs
dcounts = counts_sum_inv*dprobs
dcounts_sum_inv = (counts*dprobs).sum(1, keepdim=True)
dcounts_sum = (-counts_sum**-2)*dcounts_sum_inv
dcounts += torch.ones_like(counts)*dcounts_sum
dnorm_logits = dcounts*counts
dlogits = dnorm_logits
dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)
dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1])*dlogit_maxes
