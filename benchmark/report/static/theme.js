// Before anything is drawn, so that a page in the other colours never flashes.
try {
  const chosen = localStorage.getItem("report-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch (error) { /* a browser that keeps nothing for files */ }
