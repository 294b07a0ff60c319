// The owner's preview: the task type's own presenter on one task, and nothing is sent.

const form = document.getElementById("work");
const {task} = JSON.parse(document.getElementById("task").textContent);
const strings = JSON.parse(document.getElementById("texts").textContent);
const {sent} = JSON.parse(document.getElementById("preview-texts").textContent);
const toast = document.getElementById("toast");
const {mount} = await import(form.dataset.presenter);

mount(document.getElementById("presenter"), {
  payload: task.payload,
  config: task.config,
  media: task.media,
  strings,
  draft: null,
  onchange() {},
});
document.addEventListener("submit", event => {
  event.preventDefault();
  document.getElementById("report").hidePopover?.();
  toast.textContent = sent;
  setTimeout(() => (toast.textContent = ""), 4000);
});
document.body.dataset.ready = "1";
