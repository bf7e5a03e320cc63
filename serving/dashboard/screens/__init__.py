"""The pages, one module each with `render(view)`. Streamlit would run files of a folder `pages` by itself."""
