// Pictures from noise, made by the server; the section shows itself when the first has come.

function startGenerated() {
  let [busy, waiting] = [false, false];
  const mix = slider("generated-mix", draw, (share) => `${share} %`);
  const temperature = slider("generated-temperature", draw, written);
  const layer = slider("generated-layer", draw);
  const seedOf = (id) => Math.max(0, Math.min(9999, Math.round(+$(id).value || 0)));

  /** One picture at a time; what is chosen meanwhile comes next, and only the last of it. */
  async function draw() {
    waiting = true;
    if (busy) return;
    busy = true;
    while (waiting) {
      waiting = false;
      await fetchOne();
    }
    busy = false;
  }

  async function fetchOne() {
    const [seed, other] = [seedOf("generated-seed"), seedOf("generated-other")];
    const between = mix.value > 0; // there, the whole picture alone is made
    $("generated-layer").disabled = between;
    const chosen = { seed, temperature: temperature.value, ...(between ? { to: other, share: mix.value / 100 } : { layer: layer.value }) };
    try {
      const reply = await patiently(`learn/generate?${new URLSearchParams(chosen)}`, {}, () => ($("generated-words").textContent = say("page.waiting")));
      if (reply.status === 404) return;
      if (reply.status === 503) throw new Error(say("generated.busy"));
      if (!reply.ok) throw new Error((await reply.text()) || String(reply.status));
      const picture = $("generated-picture");
      URL.revokeObjectURL(picture.src);
      picture.src = URL.createObjectURL(await reply.blob());
      picture.alt = say(between ? "generated.between_is" : "generated.picture_is", { seed, other, mix: mix.value, temperature: written(temperature.value), layer: layer.value });
      $("generated-words").textContent = "";
      if ($("generated").hidden) {
        $("generated").hidden = false;
        addToContents("generated");
      }
    } catch (error) {
      $("generated-words").textContent = error.message;
    }
  }

  for (const id of ["generated-seed", "generated-other"]) $(id).onchange = draw;
  $("generated-again").onclick = () => {
    for (const id of ["generated-seed", "generated-other"]) $(id).value = Math.floor(Math.random() * 10000);
    draw();
  };
  draw();
}
