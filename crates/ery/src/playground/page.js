'use strict';

// The playground's page. Everything that people or models wrote reaches the document as text
// nodes only; nothing here reads HTML from a string.

const REACTIONS = ['👍', '❤️', '😂', '🎉', '✅', '👀', '👎'];
const MESSAGES_SHOWN = 100;
const THREADS_SHOWN = 20;
const AUDIT_SHOWN = 100;
const TYPING_MS = 10_000;
const TEXT_CHANNELS = new Set([0, 5, 10, 11, 12]);
const CATEGORY = 4;
const FORUMS = new Set([15, 16]);
const SPEAKER_KEY = 'ery.playground.speaker';

const state = {
  guilds: [],
  dms: [],
  bots: new Set(),
  /** The guild that is shown, with its members by user id, and roles and channels by id. */
  guild: null,
  members: new Map(),
  roles: new Map(),
  channels: new Map(),
  channel: null,
  speaker: null,
  /** Messages of the channel that is shown, by id, oldest first. */
  messages: new Map(),
  unread: new Map(),
  /** Until when somebody types, by channel and user. */
  typing: new Map(),
  replyTo: null,
  /** The commands that can be used in the channel that is shown. */
  commands: [],
  /** The message that the composer rewrites. */
  editing: null,
  /** Task threads by id, with their steps. */
  threads: new Map(),
};

const at = (id) => document.getElementById(id);

// ---------------------------------------------------------------------------- small tools

/** Makes an element; `children` are nodes or text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'onclick') element.addEventListener('click', value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function request(path, options = {}) {
  const { body, ...rest } = options;
  const init = { ...rest, headers: { accept: 'application/json' } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['content-type'] = 'application/json';
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Error('The playground does not answer. Is it still running?');
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text === '' ? null : JSON.parse(text);
  } catch {
    answer = { message: text };
  }
  if (!response.ok) throw new Error(refusal(response.status, answer));
  return answer;
}

/** Says in one line why Discord refused. */
function refusal(status, answer) {
  const message = answer?.message ?? answer?.error ?? 'no reason given';
  const detail = answer?.errors ? `: ${firstError(answer.errors) ?? ''}` : '';
  const code = answer?.code ? `, code ${answer.code}` : '';
  return `Discord refused: ${message}${detail} (${status}${code})`;
}

function firstError(errors) {
  if (Array.isArray(errors?._errors)) return errors._errors[0]?.message;
  if (errors === null || typeof errors !== 'object') return undefined;
  for (const inner of Object.values(errors)) {
    const found = firstError(inner);
    if (found) return found;
  }
  return undefined;
}

function toast(text) {
  const close = make('button', { type: 'button', 'aria-label': 'Close' }, '✕');
  const element = make('div', { class: 'toast', 'data-testid': 'toast' }, make('span', {}, text), close);
  close.addEventListener('click', () => element.remove());
  at('toasts').append(element);
  while (at('toasts').childElementCount > 4) at('toasts').firstElementChild.remove();
  setTimeout(() => element.remove(), 12_000);
}

/** Runs what a person asked for, and shows why it failed if it did. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}

/** Calls `action` once with what was given last, a moment after the last of several calls. */
function soon(action, delay = 150) {
  let timer = null;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), delay);
  };
}

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const secondFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Discord's ids hold their time. */
function timeOf(message) {
  if (message.timestamp) return new Date(message.timestamp);
  return new Date(Number(BigInt(message.id) >> 22n) + 1_420_070_400_000);
}

function shorten(text, length = 90) {
  const line = String(text ?? '').replace(/\s+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** Keeps the choice of speaker; where the browser stores nothing, for this visit only. */
function remember(speaker) {
  try {
    localStorage.setItem(SPEAKER_KEY, speaker);
  } catch {
    // The select itself remembers.
  }
}

function recall() {
  try {
    return localStorage.getItem(SPEAKER_KEY);
  } catch {
    return null;
  }
}

// ---------------------------------------------------------------------------- the world

async function loadWorld() {
  const world = await request('/sim/v1/world');
  state.guilds = world.guilds ?? [];
  state.dms = world.dms ?? [];
  state.bots = new Set((world.bots ?? []).map((bot) => bot.user?.id ?? bot.id));
  const wanted = state.guild?.id;
  state.guild = state.guilds.find((guild) => guild.id === wanted) ?? state.guilds[0] ?? null;
  state.members = new Map((state.guild?.members ?? []).map((member) => [member.user.id, member]));
  state.roles = new Map((state.guild?.roles ?? []).map((role) => [role.id, role]));
  const threads = (state.guild?.threads ?? []).filter((thread) => !thread.archived || thread.id === state.channel);
  const channels = [...(state.guild?.channels ?? []), ...threads];
  state.channels = new Map(channels.map((channel) => [channel.id, channel]));
  for (const dm of state.dms) {
    const recipients = dm.recipient_ids ?? (dm.recipients ?? []).map((user) => user.id);
    const people = recipients.filter((user) => !state.bots.has(user)).map(nameOf);
    state.channels.set(dm.id, { id: dm.id, type: 1, name: people.join(', '), is_dm: true, recipients });
  }
  showGuild();
  showChannels();
  showMembers();
  showSpeakers();
}

const reloadWorld = soon(() => attempt(loadWorld));

function isBot(user) {
  return state.bots.has(user) || state.members.get(user)?.user.bot === true;
}

function nameOf(user) {
  const member = state.members.get(user);
  return member?.nick ?? member?.user.global_name ?? member?.user.username ?? `user ${user}`;
}

function usernameOf(user, fallback) {
  return state.members.get(user)?.user.username ?? fallback?.username ?? user;
}

/** Returns a member's roles, the highest first, without @everyone. */
function rolesOf(user) {
  const roles = (state.members.get(user)?.roles ?? []).map((id) => state.roles.get(id));
  return roles.filter(Boolean).sort((a, b) => b.position - a.position);
}

function colorOf(user) {
  const colored = rolesOf(user).find((role) => role.color);
  return colored ? `#${colored.color.toString(16).padStart(6, '0')}` : null;
}

function dot(color) {
  const element = make('span', { class: 'dot', 'aria-hidden': 'true' });
  if (color) element.style.backgroundColor = color;
  return element;
}

/** Returns until when a member is timed out, or none. */
function timedOutUntil(user) {
  const until = state.members.get(user)?.communication_disabled_until;
  if (!until) return null;
  const date = new Date(until);
  return date > new Date() ? date : null;
}

function timeoutBadge(user) {
  const until = timedOutUntil(user);
  if (!until) return null;
  const text = `timed out until ${timeFormat.format(until)}`;
  return make('span', { class: 'badge bad', title: fullFormat.format(until), 'data-testid': 'timeout-badge' }, text);
}

function showGuild() {
  at('guild-name').textContent = state.guild?.name ?? 'Ery’s playground';
  document.title = `${state.guild?.name ?? 'Ery'} · playground`;
  at('guild-choice').hidden = state.guilds.length < 2;
  at('guild').replaceChildren(
    ...state.guilds.map((guild) => {
      const option = make('option', { value: guild.id }, guild.name);
      option.selected = guild.id === state.guild?.id;
      return option;
    }),
  );
}

function showChannels() {
  const items = [];
  const all = [...state.channels.values()];
  const byPosition = (a, b) => (a.position ?? 0) - (b.position ?? 0) || (BigInt(a.id) < BigInt(b.id) ? -1 : 1);
  const text = all.filter((channel) => TEXT_CHANNELS.has(channel.type)).sort(byPosition);
  const categories = all.filter((channel) => channel.type === CATEGORY).sort(byPosition);
  const ids = new Set(categories.map((category) => category.id));
  const isThread = (channel) => channel.type >= 10 && channel.type <= 12;
  const add = (channel) => {
    items.push(channelItem(channel));
    for (const thread of text.filter((other) => isThread(other) && other.parent_id === channel.id)) {
      items.push(channelItem(thread));
    }
  };
  const roots = text.filter((channel) => !isThread(channel));
  const forums = all.filter((channel) => FORUMS.has(channel.type)).sort(byPosition);
  roots.filter((channel) => !ids.has(channel.parent_id)).forEach(add);
  for (const category of categories) {
    const inside = roots.filter((channel) => channel.parent_id === category.id);
    if (inside.length > 0) items.push(make('li', { class: 'category' }, category.name));
    inside.forEach(add);
  }
  for (const forum of forums) {
    items.push(make('li', { class: 'category' }, forum.name));
    text.filter((post) => isThread(post) && post.parent_id === forum.id).forEach((post) => items.push(channelItem(post)));
  }
  items.push(make('li', { class: 'category' }, 'Direct messages with Ery'));
  all.filter((channel) => channel.is_dm).forEach((channel) => items.push(channelItem(channel)));
  const open = make('button', { type: 'button', 'data-testid': 'open-dm', onclick: () => attempt(openDm) }, '+ as the speaker');
  items.push(make('li', {}, open));
  at('channels').replaceChildren(...items);
  const first = text.find((channel) => channel.name === 'general') ?? roots[0];
  if (!state.channels.has(state.channel) && first) openChannel(first.id);
}

/** Opens the speaker's direct messages with Ery. */
async function openDm() {
  const dm = await request('/sim/v1/dms', { method: 'POST', body: { user_id: state.speaker } });
  await loadWorld();
  await openChannel(dm.id);
}

function channelItem(channel) {
  const unread = state.unread.get(channel.id) ?? 0;
  const sign = channel.is_dm ? '@' : channel.type >= 10 ? '↳' : '#';
  const button = make(
    'button',
    {
      type: 'button',
      'data-testid': 'channel',
      'data-channel-id': channel.id,
      'data-channel-name': channel.name,
      'aria-current': channel.id === state.channel ? 'true' : undefined,
      onclick: () => openChannel(channel.id),
    },
    make('span', { 'aria-hidden': 'true' }, sign),
    make('span', { class: 'name' }, channel.name ?? channel.id),
    unread > 0 ? make('span', { class: 'unread', 'aria-label': `${unread} new` }, String(unread)) : null,
  );
  return make('li', {}, button);
}

function showMembers() {
  const rank = (member) => rolesOf(member.user.id)[0]?.position ?? -1;
  const sorted = [...state.members.values()].sort(
    (a, b) => rank(b) - rank(a) || nameOf(a.user.id).localeCompare(nameOf(b.user.id)),
  );
  at('members').replaceChildren(
    ...sorted.map((member) => {
      const user = member.user.id;
      const roles = rolesOf(user).map((role) => role.name).join(', ');
      return make(
        'li',
        {
          'data-testid': 'member',
          'data-user-id': user,
          'data-username': member.user.username,
          'data-timed-out': String(timedOutUntil(user) !== null),
        },
        dot(colorOf(user)),
        make('span', { title: `@${member.user.username}` }, nameOf(user)),
        isBot(user) ? make('span', { class: 'badge' }, 'bot') : null,
        timeoutBadge(user),
        roles ? make('span', { class: 'roles' }, roles) : null,
        isBot(user) ? null : make('span', { class: 'menu' }, ...menuButtons(ON_PERSON, user)),
      );
    }),
  );
}

function showSpeakers() {
  const people = [...state.members.values()].filter((member) => !isBot(member.user.id));
  people.sort((a, b) => nameOf(a.user.id).localeCompare(nameOf(b.user.id)));
  const remembered = state.speaker ?? recall();
  const speaker = people.find((member) => member.user.id === remembered) ?? people[0];
  state.speaker = speaker?.user.id ?? null;
  at('speak-as').replaceChildren(
    ...people.map((member) => {
      const top = rolesOf(member.user.id)[0];
      const text = `${nameOf(member.user.id)}${top ? ` · ${top.name}` : ''}`;
      const option = make('option', { value: member.user.id, 'data-username': member.user.username }, text);
      option.selected = member.user.id === state.speaker;
      return option;
    }),
  );
  showSpeakerRoles();
}

function showSpeakerRoles() {
  const badges = rolesOf(state.speaker).map((role) =>
    make(
      'span',
      { class: 'badge', 'data-testid': 'role-badge' },
      dot(role.color ? `#${role.color.toString(16).padStart(6, '0')}` : null),
      role.name,
    ),
  );
  if (state.guild?.owner_id === state.speaker) badges.unshift(make('span', { class: 'badge' }, 'owner'));
  const timeout = timeoutBadge(state.speaker);
  at('speaker-roles').replaceChildren(...badges, ...(timeout ? [timeout] : []));
}

// ---------------------------------------------------------------------------- the chat

async function openChannel(id) {
  state.channel = id;
  state.messages = new Map();
  state.unread.delete(id);
  setReply(null);
  const channel = state.channels.get(id);
  at('channel-name').textContent = channel ? `${channel.is_dm ? '@' : '#'}${channel.name}` : '…';
  at('channel-topic').textContent = channel?.topic ?? '';
  at('messages').replaceChildren();
  speakInDm(channel);
  showChannels();
  showTyping();
  showThreads();
  at('whispers').replaceChildren();
  await attempt(loadCommands);
  showMembers();
  await attempt(loadMessages);
  await attempt(loadThreads);
}

/** In direct messages only the person whose they are can speak. */
function speakInDm(channel) {
  const person = channel?.recipients?.find((user) => !state.bots.has(user));
  if (!person || person === state.speaker) return;
  state.speaker = person;
  showSpeakers();
}

async function loadMessages() {
  const channel = state.channel;
  if (!channel) return;
  const newest = await request(`/sim/v1/channels/${channel}/messages?limit=${MESSAGES_SHOWN}`);
  if (channel !== state.channel) return;
  state.messages = new Map([...newest].reverse().map((message) => [message.id, message]));
  showMessages();
}

function showMessages() {
  const list = at('messages');
  const nodes = [];
  let day = null;
  for (const message of state.messages.values()) {
    const date = dayFormat.format(timeOf(message));
    if (date !== day) nodes.push(make('p', { class: 'day' }, date));
    day = date;
    nodes.push(messageNode(message));
  }
  list.replaceChildren(...nodes);
  list.scrollTop = list.scrollHeight;
}

function nodeOf(message) {
  return at('messages').querySelector(`[data-message-id="${CSS.escape(message)}"]`);
}

/** Shows a message anew where it stands, or at the end. */
function showMessage(message) {
  const list = at('messages');
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const node = messageNode(message);
  const before = nodeOf(message.id);
  if (before) before.replaceWith(node);
  else list.append(node);
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
}

function authorName(message) {
  const user = message.author?.id;
  if (state.members.has(user)) return nameOf(user);
  return message.author?.global_name ?? message.author?.username ?? 'somebody';
}

function messageNode(message) {
  const author = message.author?.id ?? '';
  const classes = ['message'];
  if (state.bots.has(author)) classes.push('own');
  if (message.is_deleted) classes.push('deleted');
  const time = timeOf(message);
  const head = make(
    'div',
    { class: 'head' },
    dot(colorOf(author)),
    make('span', { class: 'author', title: `@${usernameOf(author, message.author)}` }, authorName(message)),
    isBot(author) || message.author?.bot ? make('span', { class: 'badge' }, message.webhook_id ? 'webhook' : 'bot') : null,
    make('time', { datetime: time.toISOString(), title: fullFormat.format(time) }, timeFormat.format(time)),
    timeoutBadge(author),
    message.edited_timestamp ? make('span', { class: 'edited' }, '(edited)') : null,
  );
  const reply = message.message_reference?.message_id;
  const node = make(
    'article',
    {
      class: classes.join(' '),
      'data-testid': 'message',
      'data-message-id': message.id,
      'data-author': usernameOf(author, message.author),
      'data-author-id': author,
      'data-reply-to': reply,
      'data-edited': String(Boolean(message.edited_timestamp)),
      'data-deleted': String(Boolean(message.is_deleted)),
      'aria-label': `Message by ${authorName(message)}`,
    },
    reply ? quoteNode(message) : null,
    head,
  );
  if (message.is_deleted) {
    node.append(make('div', { class: 'content', 'data-testid': 'message-content' }, 'This message was deleted.'));
    return node;
  }
  node.append(contentNode(message));
  for (const attachment of message.attachments ?? []) {
    const size = `${Math.ceil((attachment.size ?? 0) / 1024)} KiB`;
    node.append(make('div', { class: 'attachment' }, `📎 ${attachment.filename} (${size})`));
  }
  for (const embed of message.embeds ?? []) node.append(embedNode(embed));
  if (message.poll) node.append(pollNode(message.poll));
  const rows = (message.components ?? []).flatMap((row) => row.components ?? []);
  if (rows.length > 0) node.append(make('div', { class: 'components' }, ...rows.map((part) => componentNode(message, part))));
  if ((message.reactions ?? []).length > 0) {
    node.append(make('div', { class: 'reactions' }, ...message.reactions.map((reaction) => reactionNode(message, reaction))));
  }
  node.append(actionsNode(message));
  return node;
}

function quoteNode(message) {
  const id = message.message_reference.message_id;
  const quoted = message.referenced_message ?? state.messages.get(id);
  const text = quoted ? `${authorName(quoted)}: ${shorten(plain(quoted.content), 70)}` : 'a message that is not shown';
  return make(
    'button',
    {
      type: 'button',
      class: 'quote',
      onclick: () => {
        const node = nodeOf(id);
        node?.scrollIntoView({ block: 'center' });
      },
    },
    `↩ ${text}`,
  );
}

function contentNode(message) {
  const content = make('div', { class: 'content', 'data-testid': 'message-content' });
  const system = systemText(message);
  if (system) content.append(make('em', {}, system));
  else content.append(...inline(message.content ?? ''));
  return content;
}

/** Returns what Discord's own client says for messages that are no person's words. */
function systemText(message) {
  const name = authorName(message);
  const others = (message.mentions ?? []).map((user) => nameOf(user.id)).join(', ');
  switch (message.type ?? 0) {
    case 1:
      return `${name} added ${others} to the thread.`;
    case 2:
      return `${name} removed ${others} from the thread.`;
    case 4:
      return `${name} changed the thread’s name: ${message.content}`;
    case 6:
      return `${name} pinned a message.`;
    case 7:
      return `${name} joined the server.`;
    case 18:
      return `${name} started a thread: ${message.content}`;
    case 21:
      return `${name} started this thread at: ${message.referenced_message?.content ?? 'a message that is gone'}`;
    default:
      return null;
  }
}

const MARKUP =
  /```(?:[a-z]*\n)?([\s\S]+?)```|`([^`\n]+)`|\*\*([^*]+)\*\*|<@!?(\d+)>|<@&(\d+)>|<#(\d+)>|<a?(:\w+:)\d+>|<t:(-?\d+)(?::([tTdDfFR]))?>|@(everyone|here)\b/g;

/** Turns a message's text into nodes: mentions, code and bold; everything else stays text. */
function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(MARKUP)) {
    if (match.index > end) nodes.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [, block, code, bold, user, role, channel, emoji, moment, style, all] = match;
    const mention = (label) => make('span', { class: 'mention' }, label);
    if (block !== undefined) nodes.push(make('pre', {}, block));
    else if (code !== undefined) nodes.push(make('code', {}, code));
    else if (bold !== undefined) nodes.push(make('strong', {}, ...inline(bold)));
    else if (user) nodes.push(mention(`@${nameOf(user)}`));
    else if (role) nodes.push(mention(`@${state.roles.get(role)?.name ?? 'role'}`));
    else if (channel) nodes.push(mention(`#${state.channels.get(channel)?.name ?? 'channel'}`));
    else if (emoji) nodes.push(emoji);
    else if (moment) nodes.push(momentNode(Number(moment), style));
    else nodes.push(mention(`@${all}`));
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

function momentNode(seconds, style) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return 'an unknown time';
  const text = style === 't' ? timeFormat.format(date) : fullFormat.format(date);
  return make('time', { datetime: date.toISOString() }, text);
}

/** Returns a message's text in one style, for quotes. */
function plain(text) {
  return inline(text ?? '').map((node) => (typeof node === 'string' ? node : node.textContent)).join('');
}

function embedNode(embed) {
  const node = make('div', { class: 'embed' });
  if (embed.title) node.append(make('strong', {}, embed.title));
  if (embed.description) node.append(make('div', { class: 'content' }, ...inline(embed.description)));
  for (const field of embed.fields ?? []) {
    node.append(make('strong', {}, field.name), make('div', { class: 'content' }, ...inline(field.value ?? '')));
  }
  if (embed.footer?.text) node.append(make('small', {}, embed.footer.text));
  return node;
}

function pollNode(poll) {
  const counts = new Map((poll.results?.answer_counts ?? []).map((count) => [count.id, count.count]));
  const answers = (poll.answers ?? []).map((answer) => {
    const count = counts.get(answer.answer_id) ?? 0;
    return make('li', {}, `${answer.poll_media?.text ?? ''} (${count})`);
  });
  return make('div', { class: 'poll' }, make('strong', {}, `📊 ${poll.question?.text ?? ''}`), make('ul', {}, ...answers));
}

/** The kinds of components that are buttons, or menus of words, people, roles, both and channels. */
const BUTTON = 2;
const WORDS = 3;
const PEOPLE = 5;
const ROLES = 6;
const MENTIONABLE = 7;
const CHANNELS = 8;
const MENUS = new Set([WORDS, PEOPLE, ROLES, MENTIONABLE, CHANNELS]);
/** The answer that changes the message on which somebody pressed or chose, later. */
const CHANGES_LATER = 6;
/** The flag of an answer that only whoever asked sees, and that of one that is still to come. */
const EPHEMERAL = 1 << 6;
const LOADING = 1 << 7;
/** How long an answer that was put off is waited for, and how often it is looked for. */
const ANSWER_MS = 60_000;
const LOOK_MS = 150;

function componentNode(message, part) {
  if (MENUS.has(part.type)) return menuNode(message, part);
  const label = part.label ?? part.placeholder ?? part.custom_id ?? 'button';
  const canPress = part.type === BUTTON && Boolean(part.custom_id) && !part.disabled;
  return make(
    'button',
    {
      type: 'button',
      'data-testid': 'component-button',
      'data-custom-id': part.custom_id,
      title: canPress ? `Press as ${nameOf(state.speaker)}` : 'This cannot be used here',
      disabled: !canPress,
      onclick: canPress ? () => press(message, part.custom_id) : undefined,
    },
    label,
  );
}

/** Returns what a menu offers: values with what stands for them. */
function offered(part) {
  const people = () => [...state.members.values()].map((member) => [member.user.id, `@${nameOf(member.user.id)}`]);
  const roles = () =>
    [...state.roles.values()].filter((role) => role.id !== state.guild?.id).map((role) => [role.id, `@${role.name}`]);
  switch (part.type) {
    case WORDS:
      return (part.options ?? []).map((option) => [option.value, option.label, option.description]);
    case PEOPLE:
      return people();
    case ROLES:
      return roles();
    case MENTIONABLE:
      return [...people(), ...roles()];
    default: {
      const kinds = part.channel_types ?? [];
      const fits = (channel) => !channel.is_dm && (kinds.length === 0 || kinds.includes(channel.type));
      return [...state.channels.values()].filter(fits).map((channel) => [channel.id, `#${channel.name}`]);
    }
  }
}

/** Makes a menu to choose from: of one choice it is sent at once, of several by a button. */
function menuNode(message, part) {
  const isMany = (part.max_values ?? 1) > 1;
  const chosen = new Set([
    ...(part.default_values ?? []).map((value) => value.id),
    ...(part.options ?? []).filter((option) => option.default).map((option) => option.value),
  ]);
  const options = offered(part).map(([value, label, about]) => {
    const option = make('option', { value, title: about }, label);
    option.selected = chosen.has(value);
    return option;
  });
  if (!isMany && (part.min_values === 0 || chosen.size === 0)) {
    const none = make('option', { value: '' }, part.placeholder ?? '—');
    none.selected = chosen.size === 0;
    options.unshift(none);
  }
  const select = make(
    'select',
    {
      'data-testid': 'component-menu',
      'data-custom-id': part.custom_id,
      'aria-label': part.placeholder ?? 'Choose',
      title: part.placeholder,
      multiple: isMany,
      size: isMany ? 5 : undefined,
      disabled: Boolean(part.disabled),
    },
    ...options,
  );
  const send = () => {
    const values = [...select.selectedOptions].map((option) => option.value).filter((value) => value !== '');
    const deed = { type: 'select', channel_id: message.channel_id, message_id: message.id, custom_id: part.custom_id };
    return interact({ ...deed, values }, message);
  };
  if (!isMany) {
    select.addEventListener('change', send);
    return select;
  }
  const button = make('button', { type: 'button', 'data-testid': 'component-choose', onclick: send }, 'Choose');
  return make('span', { class: 'menu-of-many' }, select, button);
}

/** Presses a button as the speaker, and shows what only they are told. */
function press(message, customId) {
  const deed = { type: 'button', channel_id: message.channel_id, message_id: message.id, custom_id: customId };
  return interact(deed, message);
}

/** Does something to which the bot answers, as the speaker: by itself, or on a message. */
function interact(deed, message) {
  return attempt(async () => {
    const interaction = await request('/sim/v1/interactions', {
      method: 'POST',
      body: { user_id: state.speaker, channel_id: state.channel, wait: true, ...deed },
    });
    await showAnswer(interaction, message);
  });
}

/** Shows what only the speaker is told: a form, or a message that nobody else sees. */
async function showAnswer(first, message) {
  let interaction = first;
  const until = Date.now() + ANSWER_MS;
  const flags = () => interaction?.response?.message?.flags ?? 0;
  const looks = (of) => JSON.stringify([of?.content, of?.components]);
  const isToCome = () =>
    (flags() & LOADING) !== 0 ||
    (interaction?.response?.type === CHANGES_LATER && looks(interaction.response.message) === looks(message));
  while (isToCome() && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    interaction = await request(`/sim/v1/interactions/${interaction.id}`);
  }
  if (interaction?.state !== 'answered') return toast('Nobody answered.');
  if (interaction.response?.modal) return showForm(interaction);
  if ((flags() & EPHEMERAL) !== 0) showWhisper(interaction.response.message);
}

/** Shows a message that only the speaker sees, until it is closed. */
function showWhisper(message) {
  const close = make('button', { type: 'button', 'aria-label': 'Dismiss' }, '✕');
  const element = make(
    'section',
    { class: 'whisper', 'data-testid': 'whisper', 'data-message-id': message.id },
    close,
    make('p', { class: 'whisper-note' }, `Only ${nameOf(state.speaker)} sees this.`),
    make('div', { class: 'content' }, ...inline(message.content ?? '')),
  );
  const parts = (message.components ?? []).flatMap((row) => row.components ?? []);
  if (parts.length > 0) element.append(make('div', { class: 'components' }, ...parts.map((part) => componentNode(message, part))));
  close.addEventListener('click', () => element.remove());
  for (const attachment of message.attachments ?? []) {
    const link = make('a', { href: attachment.url, target: '_blank', rel: 'noopener' }, attachment.filename);
    element.append(make('div', { class: 'attachment' }, '📎 ', link));
  }
  const before = at('whispers').querySelector(`[data-message-id="${CSS.escape(message.id)}"]`);
  if (before) before.replaceWith(element);
  else at('whispers').append(element);
  while (at('whispers').childElementCount > 3) at('whispers').firstElementChild.remove();
}

/** Shows a form that the bot asks the speaker to fill in. */
function showForm(interaction) {
  const modal = interaction.response.modal;
  const inputs = (modal.components ?? []).map((part) => ({
    label: part.label ?? part.components?.[0]?.label ?? '',
    input: part.component ?? part.components?.[0] ?? {},
  }));
  const fields = inputs.map(({ label, input }) => {
    const field = make(input.style === 2 ? 'textarea' : 'input', {
      'data-testid': 'form-field',
      'data-custom-id': input.custom_id,
      maxlength: input.max_length,
      placeholder: input.placeholder,
      required: input.required !== false,
    });
    field.value = input.value ?? '';
    return { field, row: make('label', {}, label, field) };
  });
  const dialog = make('dialog', { 'data-testid': 'form', 'aria-label': modal.title });
  const form = make(
    'form',
    { method: 'dialog' },
    make('h2', {}, modal.title),
    ...fields.map(({ row }) => row),
    make(
      'p',
      { class: 'form-buttons' },
      make('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
      make('button', { type: 'submit', 'data-testid': 'form-send' }, 'Send'),
    ),
  );
  form.addEventListener('submit', () => {
    const values = Object.fromEntries(fields.map(({ field }) => [field.dataset.customId, field.value]));
    interact({ type: 'modal', interaction_id: interaction.id, fields: values });
  });
  dialog.addEventListener('close', () => dialog.remove());
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
}

/** Names an emoji as REST does: itself, or `name:id`. */
function emojiKey(emoji) {
  return emoji.id ? `${emoji.name}:${emoji.id}` : emoji.name;
}

function reactionNode(message, reaction) {
  const key = emojiKey(reaction.emoji);
  const name = reaction.emoji.id ? `:${reaction.emoji.name}:` : reaction.emoji.name;
  return make(
    'button',
    {
      type: 'button',
      'data-testid': 'reaction',
      'data-emoji': key,
      'data-count': reaction.count,
      'aria-label': `${name}, ${reaction.count}; add yours`,
      onclick: () => react(message, key),
    },
    `${name} ${reaction.count}`,
  );
}

function react(message, emoji) {
  return attempt(() =>
    request('/sim/v1/reactions', {
      method: 'POST',
      body: { channel_id: message.channel_id, message_id: message.id, user_id: state.speaker, emoji },
    }),
  );
}

function actionsNode(message) {
  const reply = make(
    'button',
    { type: 'button', 'data-testid': 'reply-button', 'aria-label': `Reply to ${authorName(message)}`, onclick: () => setReply(message) },
    '↩',
  );
  const toggle = make(
    'button',
    { type: 'button', 'data-testid': 'react-button', 'aria-label': 'Add a reaction', 'aria-expanded': 'false' },
    '☺',
  );
  toggle.addEventListener('click', () => togglePalette(message, toggle));
  const edit = make(
    'button',
    { type: 'button', 'data-testid': 'edit-button', 'aria-label': 'Edit this message', onclick: () => setEditing(message) },
    '✎',
  );
  const remove = make(
    'button',
    { type: 'button', 'data-testid': 'delete-button', 'aria-label': 'Delete this message', onclick: () => removeMessage(message) },
    '🗑',
  );
  const isOwn = message.author?.id === state.speaker;
  const menu = menuButtons(ON_MESSAGE, message.id);
  return make('div', { class: 'actions' }, reply, toggle, isOwn ? edit : null, remove, ...menu);
}

/** Deletes a message as the speaker, who may need the right to. */
function removeMessage(message) {
  const query = new URLSearchParams({ author_id: state.speaker });
  return attempt(() => request(`/sim/v1/messages/${message.channel_id}/${message.id}?${query}`, { method: 'DELETE' }));
}

function closePalette() {
  const palette = document.querySelector('.palette');
  palette?.parentElement?.querySelector('[aria-expanded]')?.setAttribute('aria-expanded', 'false');
  palette?.remove();
}

function togglePalette(message, toggle) {
  const isOpen = toggle.getAttribute('aria-expanded') === 'true';
  closePalette();
  if (isOpen) return;
  toggle.setAttribute('aria-expanded', 'true');
  const buttons = REACTIONS.map((emoji) =>
    make(
      'button',
      {
        type: 'button',
        'data-emoji': emoji,
        'aria-label': `React with ${emoji}`,
        onclick: () => {
          closePalette();
          react(message, emoji);
        },
      },
      emoji,
    ),
  );
  const palette = make('div', { class: 'palette', role: 'group', 'aria-label': 'Reactions' }, ...buttons);
  toggle.closest('.message').append(palette);
  buttons[0].focus();
}

function setReply(message) {
  state.replyTo = message?.id ?? null;
  state.editing = null;
  if (message) showBar(`Replying to ${authorName(message)}: ${shorten(plain(message.content), 60)}`);
  else at('reply-bar').hidden = true;
}

function setEditing(message) {
  state.replyTo = null;
  state.editing = message.id;
  at('composer').value = message.content;
  growComposer();
  showBar('Editing your message');
}

function showBar(text) {
  at('reply-bar').hidden = false;
  at('reply-to').textContent = text;
  at('composer').focus();
}

/** Gives up a reply or an edit. */
function leaveBar() {
  if (state.editing) {
    at('composer').value = '';
    growComposer();
  }
  setReply(null);
}

function showTyping() {
  const now = Date.now();
  const names = [];
  for (const [key, until] of state.typing) {
    const [channel, user] = key.split('/');
    if (until <= now) state.typing.delete(key);
    else if (channel === state.channel) names.push(nameOf(user));
  }
  const verb = names.length > 1 ? 'are' : 'is';
  at('typing').textContent = names.length > 0 ? `${names.join(', ')} ${verb} typing …` : '';
}

// ---------------------------------------------------------------------------- commands

/** Discord's kinds of commands and of options. */
const TYPED = 1;
const ON_PERSON = 2;
const ON_MESSAGE = 3;
const BELOW = new Set([1, 2]);
const INTEGER = 4;
const FLAG = 5;
const NUMBER = 10;
const IDS = new Set([6, 7, 8, 9]);

/** Reads which commands there are in the channel that is shown. */
async function loadCommands() {
  const world = await request('/sim/v1/world?limit=0&members=0');
  const guild = state.guild?.id;
  const isDm = state.dms.some((dm) => dm.id === state.channel);
  const fits = (command) => {
    if (command.guild_id) return !isDm && command.guild_id === guild;
    const contexts = command.contexts ?? [0, 1];
    return contexts.includes(isDm ? 1 : 0);
  };
  state.commands = (world.bots ?? []).flatMap((bot) => bot.commands ?? []).filter(fits);
}

/** Lists what can be typed behind a slash: each command with what is below it. */
function typedCommands() {
  const of = (command, path, options) => {
    const below = options.filter((option) => BELOW.has(option.type));
    if (below.length === 0) return [{ ...command, path, options }];
    return below.flatMap((part) => of({ ...command, description: part.description }, `${path} ${part.name}`, part.options ?? []));
  };
  const typed = state.commands.filter((command) => (command.type ?? TYPED) === TYPED);
  return typed.flatMap((command) => of(command, command.name, command.options ?? []));
}

/** Finds the command that a text begins with: the longest, since one may begin as another. */
function commandOf(text) {
  const line = text.slice(1).trim();
  const fits = (command) => line === command.path || line.startsWith(`${command.path} `);
  return typedCommands().filter(fits).sort((a, b) => b.path.length - a.path.length)[0];
}

/** Reads `name:value` for each option; what has no name belongs to the first that is left. */
function optionsOf(command, rest) {
  const named = new Map(command.options.map((option) => [option.name, option]));
  const given = new Map();
  let current = null;
  for (const word of rest.split(/\s+/).filter(Boolean)) {
    const [, name, value] = /^([^\s:]+):(.*)$/.exec(word) ?? [];
    if (name && named.has(name)) {
      current = name;
      given.set(name, value);
    } else {
      current ??= command.options.find((option) => !given.has(option.name))?.name;
      if (!current) throw new Error(`/${command.path} takes no “${word}”.`);
      given.set(current, given.get(current) ? `${given.get(current)} ${word}` : word);
    }
  }
  const values = {};
  for (const [name, text] of given) values[name] = valueOf(named.get(name), text);
  return values;
}

/** Turns what was typed into what Discord sends: ids for people, roles and channels. */
function valueOf(option, text) {
  const choice = (option.choices ?? []).find((one) => one.name === text);
  if (choice) return choice.value;
  if (option.type === INTEGER || option.type === NUMBER) return Number(text);
  if (option.type === FLAG) return /^(true|yes|on|1)$/i.test(text);
  if (!IDS.has(option.type)) return text;
  const name = text.replace(/^<?[@#]?[!&]?|>$/g, '').toLowerCase();
  if (/^\d{5,}$/.test(name)) return name;
  const people = [...state.members.values()].map((member) => [member.user.username, member.user.id]);
  const roles = [...state.roles.values()].map((role) => [role.name, role.id]);
  const channels = [...state.channels.values()].map((channel) => [channel.name, channel.id]);
  const known = { 6: people, 7: channels, 8: roles, 9: [...people, ...roles] }[option.type];
  const found = known.find(([called]) => called?.toLowerCase() === name);
  if (!found) throw new Error(`There is no “${text}” here.`);
  return found[1];
}

/** Uses the command that stands in the composer; false if none does. */
async function useCommand(text) {
  if (!text.startsWith('/') || state.editing) return false;
  await loadCommands();
  const command = commandOf(text);
  if (!command) return false;
  const rest = text.slice(1).trim().slice(command.path.length);
  await interact({ type: 'command', command: command.path, options: optionsOf(command, rest) });
  return true;
}

/** Reads the commands anew where one begins to be typed: there may be others by now. */
async function beginCommand() {
  await attempt(loadCommands);
  if (at('composer').value === '/') completeCommand('/');
}

/** Offers commands behind a slash, and then values of an option that the bot completes. */
function completeCommand(text) {
  const command = commandOf(text);
  const option = command?.options.find((one) => one.autocomplete);
  if (command && option && text.length > command.path.length + 1) {
    askChoices(command, option, text.slice(1).trim().slice(command.path.length).trim());
    return;
  }
  const typed = text.slice(1).toLowerCase();
  const fits = typedCommands().filter((one) => one.path.startsWith(typed) && one.path !== typed.trim());
  completion.options = fits.slice(0, 8).map((one) => ({ label: `/${one.path}`, note: one.description, text: `/${one.path} ` }));
  completion.start = 0;
  completion.selected = 0;
  showCompletion();
}

const askChoices = soon(async (command, option, typed) => {
  const value = typed.replace(new RegExp(`^${option.name}:\\s*`), '');
  const asked = at('composer').value;
  const interaction = await attempt(() =>
    request('/sim/v1/interactions', {
      method: 'POST',
      body: {
        type: 'autocomplete', user_id: state.speaker, channel_id: state.channel, wait: true,
        command: command.path, options: { [option.name]: value }, focused: option.name,
      },
    }),
  );
  if (at('composer').value !== asked) return;
  const choices = interaction?.response?.choices ?? [];
  completion.options = choices
    .filter((choice) => choice.value !== value)
    .slice(0, 8)
    .map((choice) => ({ label: choice.name, note: '', text: `/${command.path} ${option.name}:${choice.value} ` }));
  completion.start = 0;
  completion.selected = 0;
  showCompletion();
});

/** Makes a button for each command in the menu of a message or of a person. */
function menuButtons(type, target) {
  return state.commands
    .filter((command) => command.type === type)
    .map((command) =>
      make(
        'button',
        {
          type: 'button',
          'data-testid': 'menu-command',
          'data-command': command.name,
          onclick: () => interact({ type: 'command', command: command.name, target_id: target }),
        },
        command.name,
      ),
    );
}

// ---------------------------------------------------------------------------- the composer

const completion = { options: [], selected: 0, start: 0 };

/** Turns `@name` into Discord's mention, where somebody has that name. */
function withMentions(text) {
  const ids = new Map();
  for (const member of state.members.values()) ids.set(member.user.username.toLowerCase(), member.user.id);
  return text.replace(/(^|[^\w<])@([\w.]+)/g, (whole, before, name) => {
    const trimmed = name.replace(/\.+$/, '');
    const id = ids.get(name.toLowerCase()) ?? ids.get(trimmed.toLowerCase());
    if (!id) return whole;
    const rest = ids.has(name.toLowerCase()) ? '' : name.slice(trimmed.length);
    return `${before}<@${id}>${rest}`;
  });
}

async function sendMessage() {
  const field = at('composer');
  const text = field.value.trim();
  const content = withMentions(text);
  if (content === '' || !state.channel || !state.speaker) return;
  const isCommand = await attempt(() => useCommand(text));
  if (isCommand !== false) {
    if (isCommand) field.value = '';
    growComposer();
    return;
  }
  const body = { channel_id: state.channel, author_id: state.speaker, content };
  if (state.replyTo) body.reply_to = state.replyTo;
  const speak = () => request('/sim/v1/messages', { method: 'POST', body });
  const rewrite = () =>
    request(`/sim/v1/messages/${state.channel}/${state.editing}`, { method: 'PATCH', body: { content, author_id: state.speaker } });
  at('send').disabled = true;
  try {
    const message = await (state.editing ? rewrite() : speak());
    field.value = '';
    setReply(null);
    growComposer();
    if (message?.id && message.channel_id === state.channel) noteMessage(message);
  } catch (error) {
    const until = timedOutUntil(state.speaker);
    const why = until ? ` ${nameOf(state.speaker)} is timed out until ${timeFormat.format(until)}.` : '';
    toast(`${error.message}.${why}`);
  } finally {
    at('send').disabled = false;
    field.focus();
  }
}

function growComposer() {
  const field = at('composer');
  field.rows = Math.min(6, field.value.split('\n').length);
}

/** Offers members whose name begins with what stands behind the `@` at the cursor. */
function complete() {
  const field = at('composer');
  const before = field.value.slice(0, field.selectionStart);
  if (before === '/') return beginCommand();
  if (before.startsWith('/') && !before.includes('\n')) return completeCommand(before);
  const match = /(?:^|\s)@([\w.]*)$/.exec(before);
  if (!match) return closeCompletion();
  const prefix = match[1].toLowerCase();
  const fits = (member) =>
    [member.user.username, member.user.global_name, member.nick].some((name) => name?.toLowerCase().startsWith(prefix));
  completion.options = [...state.members.values()].filter(fits).slice(0, 8).map(({ user }) => ({
    label: nameOf(user.id),
    note: `@${user.username}`,
    text: `${user.username} `,
    user,
  }));
  completion.start = field.selectionStart - prefix.length;
  completion.selected = 0;
  showCompletion();
}

function showCompletion() {
  const list = at('mentions');
  list.hidden = completion.options.length === 0;
  list.replaceChildren(
    ...completion.options.map((option, index) => {
      const item = make(
        'li',
        {
          id: `mention-${index}`,
          role: 'option',
          'data-testid': option.user ? 'mention-option' : 'command-option',
          'data-username': option.user?.username,
          'data-text': option.text,
          'aria-selected': String(index === completion.selected),
        },
        option.user ? dot(colorOf(option.user.id)) : null,
        option.label,
        make('span', { class: 'username' }, option.note),
      );
      item.addEventListener('mousedown', (event) => {
        event.preventDefault();
        choose(index);
      });
      return item;
    }),
  );
  const field = at('composer');
  if (list.hidden) field.removeAttribute('aria-activedescendant');
  else field.setAttribute('aria-activedescendant', `mention-${completion.selected}`);
}

function closeCompletion() {
  completion.options = [];
  showCompletion();
}

function choose(index) {
  const field = at('composer');
  const chosen = completion.options[index].text;
  const after = field.value.slice(field.selectionStart);
  const text = `${field.value.slice(0, completion.start)}${chosen}`;
  field.value = text + after.trimStart();
  field.setSelectionRange(text.length, text.length);
  closeCompletion();
  field.focus();
}

function composerKey(event) {
  if (event.isComposing) return;
  const count = completion.options.length;
  if (count > 0) {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const step = event.key === 'ArrowDown' ? 1 : count - 1;
      completion.selected = (completion.selected + step) % count;
      showCompletion();
      return event.preventDefault();
    }
    if (event.key === 'Tab' || event.key === 'Enter') {
      choose(completion.selected);
      return event.preventDefault();
    }
    if (event.key === 'Escape') {
      closeCompletion();
      return event.preventDefault();
    }
  }
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    sendMessage();
  } else if (event.key === 'Escape') {
    leaveBar();
  }
}

// ---------------------------------------------------------------------------- live: Discord

function noteMessage(message) {
  state.typing.delete(`${message.channel_id}/${message.author?.id}`);
  showTyping();
  if (message.channel_id !== state.channel) {
    state.unread.set(message.channel_id, (state.unread.get(message.channel_id) ?? 0) + 1);
    if (state.channels.has(message.channel_id)) showChannels();
    else reloadWorld();
    return;
  }
  const known = state.messages.get(message.id);
  if (known?.is_deleted) return;
  const merged = { ...known, ...message };
  state.messages.set(message.id, merged);
  showMessage(merged);
}

function changeMessage(id, change) {
  const message = state.messages.get(id);
  if (!message) return;
  change(message);
  showMessage(message);
}

function addReaction(message, data, by) {
  const key = emojiKey(data.emoji);
  const reactions = message.reactions ?? [];
  const found = reactions.find((reaction) => emojiKey(reaction.emoji) === key);
  if (found) found.count += by;
  else if (by > 0) reactions.push({ emoji: data.emoji, count: 1 });
  message.reactions = reactions.filter((reaction) => reaction.count > 0);
}

/** What each of Discord's dispatches changes on the page. */
const dispatches = {
  MESSAGE_CREATE: noteMessage,
  MESSAGE_UPDATE: (data) => {
    if (data.channel_id === state.channel && state.messages.has(data.id)) {
      changeMessage(data.id, (message) => Object.assign(message, data));
    }
  },
  MESSAGE_DELETE: (data) => changeMessage(data.id, (message) => { message.is_deleted = true; }),
  MESSAGE_DELETE_BULK: (data) => {
    for (const id of data.ids ?? []) changeMessage(id, (message) => { message.is_deleted = true; });
  },
  MESSAGE_REACTION_ADD: (data) => changeMessage(data.message_id, (message) => addReaction(message, data, 1)),
  MESSAGE_REACTION_REMOVE: (data) => changeMessage(data.message_id, (message) => addReaction(message, data, -1)),
  MESSAGE_REACTION_REMOVE_ALL: (data) => changeMessage(data.message_id, (message) => { message.reactions = []; }),
  MESSAGE_REACTION_REMOVE_EMOJI: (data) =>
    changeMessage(data.message_id, (message) => {
      const key = emojiKey(data.emoji);
      message.reactions = (message.reactions ?? []).filter((reaction) => emojiKey(reaction.emoji) !== key);
    }),
  TYPING_START: (data) => {
    state.typing.set(`${data.channel_id}/${data.user_id}`, Date.now() + TYPING_MS);
    showTyping();
  },
  GUILD_MEMBER_UPDATE: (data) => {
    const member = state.members.get(data.user?.id);
    if (!member || data.guild_id !== state.guild?.id) return reloadWorld();
    member.nick = data.nick ?? null;
    member.roles = data.roles ?? member.roles;
    member.communication_disabled_until = data.communication_disabled_until ?? null;
    showTimeouts();
    showSpeakers();
  },
};

/** Dispatches after which the world is read anew. */
const RELOADS = /^(GUILD_(CREATE|UPDATE|DELETE|MEMBER_ADD|MEMBER_REMOVE|ROLE_\w+|BAN_\w+)|CHANNEL_(CREATE|UPDATE|DELETE)|THREAD_(CREATE|UPDATE|DELETE))$/;

function onDispatch(name, data) {
  if (name === 'LAGGED') {
    reloadWorld();
    attempt(loadMessages);
  } else if (dispatches[name]) dispatches[name](data);
  else if (RELOADS.test(name)) reloadWorld();
}

function showTimeouts() {
  showMembers();
  for (const message of state.messages.values()) {
    const node = nodeOf(message.id);
    const hasBadge = node?.querySelector('[data-testid="timeout-badge"]') !== null;
    if (node && hasBadge !== (timedOutUntil(message.author?.id) !== null)) node.replaceWith(messageNode(message));
  }
  showSpeakerRoles();
}

/** Follows a stream of server-sent events, and reads anew what was missed while it was away. */
function follow(path, onOpen, onData) {
  const source = new EventSource(path);
  source.addEventListener('open', onOpen);
  source.addEventListener('message', (event) => {
    let data = null;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    onData(data);
  });
  return source;
}

function followDiscord() {
  const connection = at('connection');
  const source = follow(
    '/sim/v1/events',
    async () => {
      connection.dataset.state = 'live';
      connection.textContent = 'Live';
      await attempt(loadWorld);
      await attempt(loadMessages);
    },
    (event) => onDispatch(event.type, event.data ?? {}),
  );
  source.addEventListener('error', () => {
    connection.dataset.state = 'lost';
    connection.textContent = 'Connection lost; trying again …';
    // A stream that was refused is not tried again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(followDiscord, 2_000);
  });
}

// ---------------------------------------------------------------------------- task threads

const KINDS = {
  begun: 'Thread begun',
  context: 'Context loaded',
  orders: 'Orders read',
  model_asked: 'Model asked',
  model_answered: 'Model answered',
  tool: 'Tool',
  finished: 'Finished',
};

async function loadThreads() {
  if (!state.guild && !state.channel) return;
  const channel = state.channel;
  const query = new URLSearchParams({ limit: String(THREADS_SHOWN) });
  if (state.channels.get(channel)?.is_dm !== true) query.set('guild', state.guild?.id ?? '0');
  if (channel) query.set('channel', channel);
  const threads = await request(`/api/threads?${query}`);
  for (const thread of threads) {
    const known = state.threads.get(thread.thread);
    // The store is the truth once a thread has ended; before that, what came live may be ahead.
    if (known && thread.outcome === 'running' && known.steps.length > thread.steps.length) continue;
    state.threads.set(thread.thread, thread);
  }
  showThreads();
}

const reloadThreads = soon(() => attempt(loadThreads), 400);

function onProgress(event) {
  if (!event.thread || !event.kind) return;
  let thread = state.threads.get(event.thread);
  if (!thread) {
    thread = { thread: event.thread, guild: event.guild, channel: event.channel, started_at_ms: event.at_ms, outcome: 'running', steps: [] };
    state.threads.set(event.thread, thread);
    while (state.threads.size > 200) state.threads.delete(state.threads.keys().next().value);
  }
  const step = { kind: event.kind, at_ms: event.at_ms, detail: event.detail ?? {} };
  const isRepeat = thread.steps.some((other) => sameStep(other, step));
  if (!isRepeat) mergeStep(thread, step);
  if (event.kind === 'finished') {
    thread.outcome = words(step.detail.outcome ?? 'done');
    thread.finished_at_ms = event.at_ms;
    // The store tells more of it than the live steps do: arguments, decisions, results.
    reloadThreads();
  }
  if (event.kind === 'tool' || event.kind === 'finished') refreshAudit();
  showThread(thread);
}

function sameStep(a, b) {
  return a.kind === b.kind && a.at_ms === b.at_ms && JSON.stringify(a.detail) === JSON.stringify(b.detail);
}

/** Adds a step; a tool call that was shown as begun gets its result where it stands. */
function mergeStep(thread, step) {
  if (step.kind === 'tool') {
    const key = toolKey(step.detail);
    const begun = key && thread.steps.find((other) => other.kind === 'tool' && toolKey(other.detail) === key);
    if (begun) {
      begun.detail = { ...begun.detail, ...step.detail };
      return;
    }
  }
  thread.steps.push(step);
}

function toolKey(detail) {
  return detail.key ?? detail.execution ?? detail.call_id ?? detail.call ?? null;
}

function showThreads() {
  const everywhere = at('all-channels').checked;
  const shown = [...state.threads.values()]
    .filter((thread) => everywhere || thread.channel === state.channel)
    .sort((a, b) => (b.started_at_ms ?? 0) - (a.started_at_ms ?? 0))
    .slice(0, THREADS_SHOWN);
  at('steps-empty').hidden = shown.length > 0;
  at('steps').replaceChildren(...shown.map((thread) => threadNode(thread)));
}

/** Shows one thread anew; what is unfolded stays so. */
function showThread(thread) {
  const before = at('steps').querySelector(`[data-thread-id="${CSS.escape(thread.thread)}"]`);
  if (!before) return showThreads();
  const open = new Set([...before.querySelectorAll('details[open]')].map((details) => details.dataset.step));
  before.replaceWith(threadNode(thread, open));
}

/** Returns the text of the message that began a thread, if it is shown. */
function triggerOf(thread) {
  const begun = thread.steps.find((step) => step.kind === 'begun')?.detail;
  const ids = Array.isArray(begun?.triggers) ? begun.triggers : [];
  const messages = ids.map((id) => state.messages.get(String(id).replace(/^m\./, '')));
  return messages.find(Boolean)?.content;
}

function outcomeBadge(outcome) {
  const tone = { done: 'good', running: 'wait', suspended: 'wait', failed: 'bad', 'out of budget': 'bad', 'too busy': 'bad' };
  return make('span', { class: `badge ${tone[outcome] ?? ''}` }, outcome);
}

function threadNode(thread, open = new Set()) {
  const trigger = thread.trigger ?? triggerOf(thread);
  const took = thread.finished_at_ms ? ` · ${thread.finished_at_ms - thread.started_at_ms} ms` : '';
  const channel = state.channels.get(thread.channel)?.name;
  const where = thread.channel !== state.channel && channel ? ` · #${channel}` : '';
  const started = thread.started_at_ms ? secondFormat.format(new Date(thread.started_at_ms)) : '';
  return make(
    'article',
    { class: 'thread', 'data-testid': 'thread', 'data-thread-id': thread.thread, 'data-outcome': thread.outcome, 'aria-label': `Task thread, ${thread.outcome}` },
    make(
      'header',
      {},
      make('div', { class: 'line' }, make('span', { title: thread.thread }, `${started}${took}${where}`), outcomeBadge(thread.outcome)),
      trigger ? make('div', { class: 'trigger', title: plain(trigger) }, `“${shorten(plain(trigger), 100)}”`) : null,
      thread.detail ? make('div', { class: 'trigger' }, thread.detail) : null,
    ),
    make('ol', {}, ...thread.steps.map((step, index) => stepNode(thread, step, index, open.has(String(index))))),
  );
}

function stepNode(thread, step, index, isOpen) {
  const detail = step.detail ?? {};
  const tool = step.kind === 'tool' ? toolName(detail) : undefined;
  const title = tool ?? KINDS[step.kind] ?? step.kind;
  const after = step.at_ms && thread.started_at_ms ? `+${Math.max(0, step.at_ms - thread.started_at_ms)} ms` : '';
  const line = [make('span', { class: 'what' }, title)];
  if (step.kind === 'tool') line.push(...toolBadges(detail));
  line.push(make('span', { class: 'when' }, after));
  const text = summary(step.kind, detail);
  const item = make('li', {
    class: 'step',
    'data-testid': 'step',
    'data-kind': step.kind,
    'data-tool': tool,
    'data-decision': step.kind === 'tool' ? decisionOf(detail) : undefined,
    'data-state': step.kind === 'tool' ? stateOf(detail) : undefined,
  });
  const under = text ? make('div', { class: 'summary' }, text) : null;
  if (Object.keys(detail).length === 0) {
    item.append(make('div', { class: 'plain' }, ...line, ...(under ? [under] : [])));
  } else {
    const details = make('details', { 'data-step': String(index), open: isOpen }, make('summary', {}, ...line, ...(under ? [under] : [])));
    details.append(make('pre', { tabindex: '0' }, JSON.stringify(detail, null, 2)));
    item.append(details);
  }
  return item;
}

function toolName(detail) {
  return detail.tool ?? detail.name ?? 'tool';
}

/** Returns what was decided; a live step tells only how the call ended. */
function decisionOf(detail) {
  if (detail.decision) return words(detail.decision);
  if (!detail.outcome) return undefined;
  const outcome = words(detail.outcome);
  const decisions = { done: 'allowed', 'in doubt': 'allowed', denied: 'denied', 'needs approval': 'needs approval' };
  return decisions[outcome];
}

function stateOf(detail) {
  const current = detail.state ?? detail.outcome;
  return current === undefined ? undefined : words(current);
}

function toolBadges(detail) {
  const badges = [];
  const decision = decisionOf(detail);
  const current = stateOf(detail);
  if (decision) {
    const tone = { allowed: 'good', denied: 'bad', 'needs approval': 'wait' }[decision] ?? '';
    badges.push(make('span', { class: `badge ${tone}` }, decision));
  }
  if (current && current !== decision) {
    const tone = { done: 'good', failed: 'bad', 'in doubt': 'wait', open: 'wait' }[current] ?? '';
    badges.push(make('span', { class: `badge ${tone}` }, current));
  }
  return badges;
}

function several(count, noun) {
  return `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `out_of_budget` in words. */
function words(name) {
  return String(name ?? '').replace(/_/g, ' ');
}

/** Says a step in one line. */
function summary(kind, detail) {
  const parts = [];
  const add = (condition, text) => { if (condition) parts.push(text); };
  const count = (value) => (Array.isArray(value) ? value.length : value);
  switch (kind) {
    case 'begun':
      add(detail.principal, `for ${who(detail.principal)}`);
      add(count(detail.triggers) > 1, several(count(detail.triggers), 'message'));
      add(detail.resumed, 'taken over from another process');
      break;
    case 'context':
      add(detail.messages !== undefined, several(count(detail.messages), 'message'));
      add(detail.tokens !== undefined, `about ${several(detail.tokens, 'token')}`);
      add(count(detail.messages_left_out) > 0, `${count(detail.messages_left_out)} left out`);
      add(detail.summary || detail.has_summary, 'a summary of what was before');
      add(detail.tools !== undefined, `${several(count(detail.tools), 'tool')} offered`);
      add(detail.is_tainted, 'holds words of others');
      break;
    case 'orders':
      add(detail.orders !== undefined, several(count(detail.orders), 'order'));
      add(count(detail.orders) > 0, (detail.orders ?? []).map?.((order) => order.tool).join(', '));
      add(count(detail.problems) > 0, (detail.problems ?? []).join?.('; '));
      break;
    case 'model_asked':
      add(detail.turn > 1, `turn ${detail.turn}`);
      add(detail.tokens !== undefined, `about ${several(detail.tokens, 'token')}`);
      add(detail.offered !== undefined, `${several(count(detail.offered), 'tool')} offered`);
      add(count(detail.results_left_out) > 0, `${several(count(detail.results_left_out), 'result')} left out`);
      break;
    case 'model_answered':
      add(detail.text, `“${shorten(plain(detail.text), 160)}”`);
      add(!detail.text && detail.text_length > 0, several(detail.text_length, 'character'));
      add(count(detail.tool_calls) > 0, `calls ${(detail.tool_calls ?? []).map?.((call) => call.tool ?? call.name ?? call).join(', ')}`);
      add(detail.provider || detail.model, [...new Set([detail.provider, detail.model].filter(Boolean))].join(' · '));
      add(detail.usage?.prompt_tokens, `${detail.usage?.prompt_tokens} + ${several(detail.usage?.completion_tokens ?? 0, 'token')}`);
      break;
    case 'tool':
      add(detail.reason ?? detail.decision_reason, detail.reason ?? detail.decision_reason);
      add(detail.result && decisionOf(detail) !== 'denied', shorten(typeof detail.result === 'string' ? detail.result : JSON.stringify(detail.result), 160));
      break;
    case 'finished':
      add(detail.outcome, words(detail.outcome));
      add(detail.detail ?? detail.reason, detail.detail ?? detail.reason);
      break;
    default:
      break;
  }
  return parts.join(' · ');
}

/** Names who a principal is: `person 123` becomes the person's name. */
function who(principal) {
  const match = /^person (\d+)$/.exec(principal ?? '');
  return match ? nameOf(match[1]) : String(principal ?? 'nobody');
}

function followProgress() {
  const source = follow('/api/progress', () => attempt(loadThreads), onProgress);
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(followProgress, 2_000);
  });
}

// ---------------------------------------------------------------------------- the audit

async function loadAudit() {
  if (!state.guild) return;
  const rows = await request(`/api/executions?guild=${state.guild.id}&limit=${AUDIT_SHOWN}`);
  const open = new Set([...at('audit').querySelectorAll('details[open]')].map((row) => row.dataset.key));
  at('audit-empty').hidden = rows.length > 0;
  at('audit').replaceChildren(...rows.map((row) => auditNode(row, open.has(row.key))));
}

const refreshAudit = soon(() => {
  if (!at('audit-view').hidden) attempt(loadAudit);
}, 300);

function auditNode(row, isOpen) {
  const opened = new Date(row.opened_at_ms);
  const channel = state.channels.get(row.channel)?.name;
  const summaryLine = make(
    'summary',
    {},
    make('strong', {}, row.tool),
    ...toolBadges(row),
    make(
      'div',
      { class: 'by' },
      `${secondFormat.format(opened)} · for ${who(row.principal)}${channel ? ` · #${channel}` : ''}${row.reason ? ` · ${row.reason}` : ''}`,
    ),
  );
  const details = make('details', { 'data-key': row.key, open: isOpen }, summaryLine, make('pre', { tabindex: '0' }, JSON.stringify(row, null, 2)));
  return make(
    'div',
    { class: 'audit-row', 'data-testid': 'audit-row', 'data-tool': row.tool, 'data-decision': row.decision, 'data-state': row.state },
    details,
  );
}

// ---------------------------------------------------------------------------- the beginning

const TABS = ['steps', 'audit'];

function showTab(name) {
  for (const tab of TABS) {
    const isShown = tab === name;
    at(`tab-${tab}`).setAttribute('aria-selected', String(isShown));
    at(`tab-${tab}`).tabIndex = isShown ? 0 : -1;
    at(`${tab}-view`).hidden = !isShown;
  }
  if (name === 'audit') attempt(loadAudit);
}

function listen() {
  at('guild').addEventListener('change', (event) => {
    state.guild = state.guilds.find((guild) => guild.id === event.target.value) ?? null;
    state.channel = null;
    attempt(loadWorld);
  });
  at('speak-as').addEventListener('change', (event) => {
    state.speaker = event.target.value;
    remember(state.speaker);
    leaveBar();
    showSpeakerRoles();
    showMessages();
    at('composer').focus();
  });
  at('compose').addEventListener('submit', (event) => {
    event.preventDefault();
    sendMessage();
  });
  at('composer').addEventListener('keydown', composerKey);
  at('composer').addEventListener('input', () => {
    growComposer();
    complete();
  });
  at('composer').addEventListener('blur', closeCompletion);
  at('reply-cancel').addEventListener('click', leaveBar);
  at('all-channels').addEventListener('change', showThreads);
  at('audit-refresh').addEventListener('click', () => attempt(loadAudit));
  for (const [index, name] of TABS.entries()) {
    const tab = at(`tab-${name}`);
    tab.addEventListener('click', () => showTab(name));
    tab.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
      const next = TABS[(index + 1) % TABS.length];
      showTab(next);
      at(`tab-${next}`).focus();
    });
  }
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') closePalette();
  });
  document.addEventListener('click', (event) => {
    if (!event.target.closest('.palette, [data-testid="react-button"]')) closePalette();
  });
  setInterval(showTyping, 1_000);
  // Timeouts end by themselves; nobody is told.
  setInterval(() => {
    const shown = [...document.querySelectorAll('#members [data-timed-out="true"]')];
    if (shown.some((node) => timedOutUntil(node.dataset.userId) === null)) showTimeouts();
  }, 2_000);
}

listen();
followDiscord();
followProgress();
