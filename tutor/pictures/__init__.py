"""What is looked at rather than read: the computation graph, the page of a report, the curves of a training run."""
