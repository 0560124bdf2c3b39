// Arrows, space and Page keys turn the page, Home and End jump, s shows the notes; two windows of one deck keep step.
(() => {
  const body = document.body, pages = [...document.querySelectorAll('section')];
  const wide = matchMedia('(min-width: 801px)');
  const link = 'BroadcastChannel' in window ? new BroadcastChannel(location.pathname) : null;
  let now = 0;
  const show = (page, tell = true) => {
    now = Math.min(Math.max(page, 0), pages.length - 1);
    pages.forEach((each, number) => each.classList.toggle('now', number === now));
    history.replaceState(null, '', `#${now + 1}`);
    if (tell && link) link.postMessage(now);
  };
  const fit = () => {
    body.classList.toggle('show', wide.matches);
    const height = body.classList.contains('speaker') ? innerHeight * 0.62 : innerHeight;
    body.style.setProperty('--scale', Math.min(innerWidth / 1280, height / 720));
  };
  const keys = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ' ': 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
  addEventListener('keydown', (event) => {
    if (event.key === 's') { body.classList.toggle('speaker'); fit(); return; }
    if (!wide.matches) return;
    if (event.key in keys) { event.preventDefault(); show(now + keys[event.key]); }
    if (event.key === 'Home') show(0);
    if (event.key === 'End') show(pages.length - 1);
  });
  addEventListener('click', (event) => {
    if (wide.matches && !body.classList.contains('speaker')) show(now + (event.clientX < innerWidth / 4 ? -1 : 1));
  });
  addEventListener('resize', fit);
  if (link) link.onmessage = (event) => show(event.data, false);
  fit();
  show((parseInt(location.hash.slice(1), 10) || 1) - 1, false);
})();
