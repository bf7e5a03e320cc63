"""The pages, one module each with `render(view)`. Streamlit would run the files of a folder named `pages` itself."""
