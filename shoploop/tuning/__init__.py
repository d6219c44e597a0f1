"""Settings of training found by search: on visits before the days of evaluation, and told with a doubt."""
