// Follows the log of the build on this page. All that arrives is put in as text.
(function () {
  "use strict";
  var log = document.getElementById("log");
  var told = document.getElementById("log-state");
  var status = document.getElementById("status");
  var info = document.getElementById("status-info");
  var ended = log.dataset.ended === "yes";
  var kinds = { COMPLETED: "good", FAILED: "bad", CANCELED: "bad", QUEUED: "busy", BUILDING: "busy" };
  var source = new EventSource(log.dataset.stream);
  told.textContent = ended ? "Reading…" : "Following…";
  source.addEventListener("log", function (event) {
    var atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.appendChild(document.createTextNode(JSON.parse(event.data).text));
    if (atEnd && !ended) { log.scrollTop = log.scrollHeight; }
  });
  source.addEventListener("status", function (event) {
    var state = JSON.parse(event.data);
    var word = document.createElement("span");
    word.className = "state " + (kinds[state.status] || "");
    word.textContent = state.status;
    status.replaceChildren(word);
    info.textContent = state.status_info || "";
  });
  source.addEventListener("end", function () {
    source.close();
    told.textContent = log.textContent ? "The build has ended; this is the whole log." : "The build has ended and wrote no log.";
    // Times, artifacts and what may be done are other ones now.
    if (!ended) { location.replace(log.dataset.page); }
  });
  source.addEventListener("open", function () { if (!ended) { told.textContent = "Following…"; } });
  source.addEventListener("error", function () {
    told.textContent = source.readyState === EventSource.CLOSED
      ? "The log cannot be followed any more. Load the page again."
      : "The connection broke; trying again…";
  });
}());
