"""Names of the environment variables that the server passes to the dashboard's script."""

DATA_VARIABLE = "PIXELNOVA_DATA"
ANNOTATIONS_VARIABLE = "PIXELNOVA_ANNOTATIONS"
