"""LASSO channel selection and least-squares reconstruction; see README.md."""
