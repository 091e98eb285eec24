/// \file
/// The lexicon of the phrase corpus: words of both languages side by side, with what the grammar must know of them.
#pragma once

#include <cstddef>
#include <string_view>

namespace phrases { namespace detail {

using View = std::string_view;
enum Agreement : std::size_t { kFirst, kOther, kThird };  // I am, you (we, they) are, he is

// clang-format off
struct Word { View chinese, english; };
struct Pronoun { View chinese, subject, object, possessive; Agreement agreement; };
struct Verb { View base, third, past, ing; };
struct Action { View chinese, verb, rest, places; };  // places: the letters of those where one does it; '+': a skill
struct Errand { View before, after, verb; };  // around somebody: 给 ... 打电话, call ...
struct Place { char letter; View chinese, to, at; };
struct Ride { View chinese, english, reaches; };  // t: in town, c: cities, a: abroad
struct Adjective { char letter; View chinese, english, comparative, before_noun; };  // before_noun "": only after "is"
struct Noun { View chinese, measure, singular, plural, adjectives, spots; std::size_t most; };  // letters; most to own
struct Spot { char letter; View chinese, english; };
struct Serving { View eat, chinese, verb, singular, plural; };

// Said as they are. They always belong to the training part.
inline constexpr Word kFixed[] = {
    {"我爱你", "I love you"}, {"我想你", "I miss you"}, {"你好", "hello"}, {"你好吗？", "how are you?"},
    {"我很好", "I am fine"}, {"谢谢", "thank you"}, {"不客气", "you are welcome"}, {"再见", "goodbye"},
    {"明天见", "see you tomorrow"}, {"早上好", "good morning"}, {"晚上好", "good evening"}, {"晚安", "good night"},
    {"对不起", "I am sorry"}, {"没关系", "never mind"}, {"请进", "please come in"}, {"请坐", "please sit down"},
    {"请等一下", "please wait"}, {"欢迎", "welcome"}, {"生日快乐", "happy birthday"}, {"新年快乐", "happy new year"},
    {"祝你好运", "good luck"}, {"我不知道", "I do not know"}, {"我不懂", "I do not understand"}, {"好的", "okay"},
    {"多少钱？", "how much is it?"}, {"现在几点？", "what time is it now?"}, {"你叫什么名字？", "what is your name?"}};

inline constexpr Pronoun kPronouns[] = {
    {"我", "I", "me", "my", kFirst}, {"你", "you", "you", "your", kOther}, {"他", "he", "him", "his", kThird},
    {"她", "she", "her", "her", kThird}, {"我们", "we", "us", "our", kOther}, {"他们", "they", "them", "their", kOther}};
inline constexpr Word kNames[] = {{"汤姆", "Tom"}, {"安娜", "Anna"}, {"大卫", "David"}, {"玛丽", "Mary"}};
inline constexpr Word kRelatives[] = {
    {"爸爸", "father"}, {"妈妈", "mother"}, {"哥哥", "older brother"}, {"妹妹", "younger sister"}, {"的朋友", "friend"}};
inline constexpr Word kJobs[] = {
    {"老师", "teacher"}, {"医生", "doctor"}, {"律师", "lawyer"}, {"护士", "nurse"}, {"司机", "driver"}, {"演员", "actor"}};

inline constexpr Word kNoTime[] = {{"", ""}};
inline constexpr Word kToday[] = {{"今天", " today"}, {"现在", " now"}};
inline constexpr Word kHabit[] = {
    {"每天", " every day"}, {"每天早上", " every morning"}, {"每天晚上", " every evening"}, {"每个周末", " every weekend"}};
inline constexpr Word kPast[] = {
    {"昨天", " yesterday"}, {"昨天晚上", " last night"}, {"今天早上", " this morning"}, {"上个周末", " last weekend"}};
inline constexpr Word kFuture[] = {
    {"明天", " tomorrow"}, {"明天早上", " tomorrow morning"}, {"今天晚上", " this evening"}, {"这个周末", " this weekend"}};
inline constexpr Word kNumbers[] = {{"", ""}, {"一", "a"}, {"两", "two"}, {"三", "three"}, {"四", "four"}, {"五", "five"},
    {"六", "six"}};

inline constexpr Verb kVerbs[] = {
    {"eat", "eats", "ate", "eating"}, {"drink", "drinks", "drank", "drinking"}, {"read", "reads", "read", "reading"},
    {"watch", "watches", "watched", "watching"}, {"study", "studies", "studied", "studying"},
    {"listen", "listens", "listened", "listening"}, {"play", "plays", "played", "playing"},
    {"sing", "sings", "sang", "singing"}, {"dance", "dances", "danced", "dancing"},
    {"swim", "swims", "swam", "swimming"},
    {"run", "runs", "ran", "running"}, {"work", "works", "worked", "working"}, {"cook", "cooks", "cooked", "cooking"},
    {"wash", "washes", "washed", "washing"}, {"go", "goes", "went", "going"}, {"rain", "rains", "rained", "raining"},
    {"buy", "buys", "bought", "buying"}, {"give", "gives", "gave", "giving"}, {"call", "calls", "called", "calling"},
    {"help", "helps", "helped", "helping"}, {"see", "sees", "saw", "seeing"}, {"wait", "waits", "waited", "waiting"},
    {"look", "looks", "looked", "looking"}, {"have", "has", "had", "having"}, {"love", "loves", "loved", "loving"},
    {"like", "likes", "liked", "liking"}, {"know", "knows", "knew", "knowing"}, {"live", "lives", "lived", "living"},
    {"want", "wants", "wanted", "wanting"}};
inline constexpr Action kActions[] = {
    {"吃米饭", "eat", " rice", "hr"}, {"吃面条", "eat", " noodles", "hr"},
    {"喝茶", "drink", " tea", "hr"}, {"喝咖啡", "drink", " coffee", "hro"}, {"喝牛奶", "drink", " milk", "hr"},
    {"看书", "read", " books", "hslp"}, {"看电视", "watch", " TV", "h"},
    {"看电影", "watch", " movies", "hs"}, {"学中文", "study", " Chinese", "hsl"},
    {"听音乐", "listen", " to music", "hp"}, {"工作", "work", "", "hol"}, {"跑步", "run", "", "ps"},
    {"洗衣服", "wash", " clothes", "h"}, {"做饭", "cook", "", "h+"}, {"唱歌", "sing", "", "hps+"},
    {"跳舞", "dance", "", "hps+"}, {"游泳", "swim", "", "s+"}, {"打篮球", "play", " basketball", "ps+"},
    {"踢足球", "play", " soccer", "ps+"}, {"弹钢琴", "play", " the piano", "hs+"}};
inline constexpr Errand kErrands[] = {{"给", "打电话", "call"}, {"帮助", "", "help"}, {"见", "", "see"}};

inline constexpr Place kPlaces[] = {
    {'h', "家", " home", " at home"}, {'s', "学校", " to school", " at school"},
    {'p', "公园", " to the park", " in the park"}, {'l', "图书馆", " to the library", " in the library"},
    {'r', "饭馆", " to the restaurant", " at the restaurant"}, {'o', "办公室", " to the office", " in the office"},
    {'m', "超市", " to the supermarket", " at the supermarket"}, {'d', "医院", " to the hospital", " at the hospital"},
    {'c', "北京", " to Beijing", " in Beijing"}, {'c', "上海", " to Shanghai", " in Shanghai"},
    {'c', "南京", " to Nanjing", " in Nanjing"}, {'c', "广州", " to Guangzhou", " in Guangzhou"},
    {'a', "东京", " to Tokyo", " in Tokyo"}, {'a', "伦敦", " to London", " in London"},
    {'a', "巴黎", " to Paris", " in Paris"}};
inline constexpr Ride kRides[] = {
    {"", "", "tca"}, {"坐火车", " by train", "c"}, {"坐飞机", " by plane", "ca"}, {"开车", " by car", "ct"},
    {"坐公共汽车", " by bus", "t"}, {"骑自行车", " by bike", "t"}, {"走路", " on foot", "t"}};

inline constexpr Adjective kAdjectives[] = {  // of things; P: of people, F: of how they feel, W: of the weather
    {'n', "新", "new", "", "新"}, {'o', "旧", "old", "", "旧"}, {'b', "大", "big", "", "大"},
    {'s', "小", "small", "", "小"}, {'e', "贵", "expensive", "", ""},
    {'c', "便宜", "cheap", "", "便宜的"}, {'p', "漂亮", "beautiful", "", "漂亮的"},
    {'i', "有意思", "interesting", "", "有意思的"}, {'k', "可爱", "cute", "", "可爱的"},
    {'d', "好吃", "delicious", "", "好吃的"}, {'t', "甜", "sweet", "", ""},
    {'P', "高", "tall", "taller", ""}, {'P', "忙", "busy", "busier", ""}, {'P', "聪明", "smart", "smarter", ""},
    {'P', "强壮", "strong", "stronger", ""}, {'F', "累", "tired", "", ""}, {'F', "高兴", "happy", "", ""},
    {'F', "饿", "hungry", "", ""}, {'F', "难过", "sad", "", ""}, {'W', "冷", "cold", "", ""},
    {'W', "热", "hot", "", ""}, {'W', "暖和", "warm", "", ""}};
inline constexpr Noun kNouns[] = {
    {"书", "本", "book", "books", "noiec", "tbr", 6},
    {"笔", "支", "pen", "pens", "noec", "tb", 6}, {"地图", "张", "map", "maps", "noebsi", "tbr", 5},
    {"游戏", "个", "game", "games", "noeci", "", 5}, {"苹果", "个", "apple", "apples", "bsdt", "tbk", 6},
    {"橘子", "个", "orange", "oranges", "bsdt", "tbk", 6}, {"蛋糕", "个", "cake", "cakes", "bsdte", "tk", 3},
    {"衬衫", "件", "shirt", "shirts", "noecpbs", "cr", 6}, {"毛衣", "件", "sweater", "sweaters", "noecpbsk", "cr", 6},
    {"裙子", "条", "skirt", "skirts", "noecpbsk", "cr", 6}, {"帽子", "顶", "hat", "hats", "noecpbsk", "utcr", 5},
    {"雨伞", "把", "umbrella", "umbrellas", "noecbs", "ubcr", 3}, {"杯子", "个", "cup", "cups", "noecpbsk", "tk", 6},
    {"桌子", "张", "table", "tables", "noecbs", "kr", 3}, {"椅子", "把", "chair", "chairs", "noecbs", "kr", 6},
    {"手机", "部", "phone", "phones", "noecbs", "tbc", 2}, {"电脑", "台", "computer", "computers", "noecbs", "tr", 2},
    {"汽车", "辆", "car", "cars", "noecpbs", "", 3}, {"猫", "只", "cat", "cats", "bskp", "ucrgk", 5},
    {"狗", "只", "dog", "dogs", "bskp", "ugrk", 5}, {"鸟", "只", "bird", "birds", "bskp", "g", 6}};
inline constexpr Spot kSpots[] = {
    {'t', "桌子上", " on the table"}, {'c', "椅子上", " on the chair"}, {'u', "桌子下面", " under the table"},
    {'b', "包里", " in the bag"}, {'r', "房间里", " in the room"}, {'k', "厨房里", " in the kitchen"},
    {'g', "公园里", " in the park"}};
inline constexpr Serving kServings[] = {
    {"喝", "杯茶", "drink", "cup of tea", "cups of tea"}, {"喝", "杯咖啡", "drink", "cup of coffee", "cups of coffee"},
    {"喝", "瓶水", "drink", "bottle of water", "bottles of water"},
    {"吃", "碗米饭", "eat", "bowl of rice", "bowls of rice"}, {"吃", "碗面条", "eat", "bowl of noodles", "bowls of noodles"},
    {"吃", "个苹果", "eat", "apple", "apples"}, {"吃", "个鸡蛋", "eat", "egg", "eggs"}};
// clang-format on

}}  // namespace phrases::detail
