"""What is chosen. `choice` says what a choice is (numbers differ from lane to lane, structure does not), `bases` what each group of choices
has to do, `variant` puts one of each group together, and `registry` names the members:

- `networks` of `layers` and `heads`, `convolution` with `batch_norm`;
- `estimators` and `distributions` (what outputs mean), `losses`, `returns`, `targets`;
- `optimizers`, `clipping`;
- `exploration`, `replay`, and `prioritised` with its `sum_tree`;
- `observations`, `validation`.
"""
