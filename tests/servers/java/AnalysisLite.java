import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.LowerCaseFilter;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/** What the index of users, roles and API keys names of the module analysis-common, which is not published. */
public final class AnalysisLite extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "lowercase", filter((settings, in) -> new LowerCaseFilter(in)),
            "unique", filter((settings, in) -> new RemoveDuplicatesTokenFilter(in)),
            "pattern_capture", filter((settings, in) -> {
                List<String> patterns = settings.getAsList("patterns");
                boolean original = settings.getAsBoolean("preserve_original", true);
                return new PatternCaptureGroupTokenFilter(
                    in, original, patterns.stream().map(Pattern::compile).toArray(Pattern[]::new));
            }));
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email", (index, environment, name, settings) ->
            TokenizerFactory.newFactory(name, UAX29URLEmailTokenizer::new));
    }

    private static AnalysisProvider<TokenFilterFactory> filter(BiFunction<Settings, TokenStream, TokenStream> make) {
        return (index, environment, name, settings) -> new TokenFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public TokenStream create(TokenStream in) {
                return make.apply(settings, in);
            }
        };
    }
}
