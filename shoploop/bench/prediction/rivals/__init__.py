"""Known methods that the model has to beat, as their authors made them, tuned on visits that nothing is reported of."""
