"""What every stage stands on: values, parameters, files, and the notebook's view of the pipeline."""
