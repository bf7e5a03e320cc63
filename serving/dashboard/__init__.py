"""The dashboard for merchants: Streamlit pages over the newest published version."""
