const root = [...document.querySelectorAll('.tsynd-review')].pop();
if (root && !root.dataset.lmSuppressShortcuts) {
  root.dataset.lmSuppressShortcuts = 'true';
  const names = {ArrowLeft: 'back', ArrowRight: 'next', '.': 'next', ',': 'back', a: 'accept', r: 'reject', u: 'undo', n: 'open'};
  root.addEventListener('keydown', (event) => {
    if (event.target.closest('.tsynd-name') || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const name = names[event.key] || (/^[1-9]$/.test(event.key) ? 'class-' + event.key : null);
    const button = name && root.querySelector('.tsynd-' + name);
    if (!button) return;
    event.preventDefault(); event.stopPropagation(); button.click();
  }, true);
}
